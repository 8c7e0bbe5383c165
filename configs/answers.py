"""The configuration of a distillation from a teacher's answers: `capitoline distil answers FILE`."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from capitoline.configs.settings import ExpertSettings, Strict

ENDPOINT = "endpoint"
EXPERT = "expert:"
FILM_SCALE = ("PG", "PG13", "R", "X", "XXX")

PolicyName = Literal["keep", "discard", "ask_again", "ask_again_then_discard"]


class Rows(Strict):
    """What is labelled: whatever `capitoline rate` takes, usually a manifest."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Under the data folder, or absolute, or fsspec URLs."""
    columns: str = ""
    """What a manifest's columns mean, as for `rate`: `text=plot,tags=genres,image=poster`."""
    media: str = ""
    """Folder or archive that holds a manifest's media; beside the manifest if empty."""
    allow_outside: bool = False
    """Let a manifest name URLs and files outside its folder."""


class Trusted(Strict):
    """Labels that some rows have already and that are believed more than the teacher."""

    column: str = ""
    """A metadata column; a row where it is empty has no trusted label."""
    mapping: dict[str, str] = Field(default_factory=dict)
    """Label of the column → label of the scale; without one the labels are those of the scale."""


class Question(Strict):
    """What the teacher is asked and shown. The digest of all this stands in every row."""

    instructions: str = ""
    """Said before the scale and the form of the answer: what the labels mean. Only the default scale has a default."""
    show: tuple[str, ...] = ()
    """Metadata columns that the teacher sees beside text and tags. Never one that gives the label away."""
    characters: int = Field(default=8_000, gt=0)
    """Of an item's text; the rest is not shown, and the row says so."""
    pictures: bool = False
    """Also show pictures, as JPEG data URLs; for models that see."""


class Endpoint(Strict):
    """A server that speaks OpenAI's chat completions, its limits and its prices."""

    url: str
    """Up to and with the version: `https://api.openai.com/v1`, `http://127.0.0.1:8000/v1`."""
    model: str
    api_key_env: str = ""
    """Name of the environment variable that holds the key, on every node; empty for a server without keys."""
    temperature: float | None = Field(default=0.0, ge=0)
    """None (`null`) for models that refuse the parameter."""
    answer_tokens: int = Field(default=300, gt=0)
    """Most tokens of an answer."""
    tokens_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls that."""
    json_mode: bool = True
    """Ask the server to let only JSON through (`response_format`)."""
    concurrency: int = Field(default=8, gt=0)
    """Requests of one process in flight."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Of the whole run, shared equally among its processes."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Of the prompt and the answer together; likewise."""
    answers: int = Field(default=3, gt=0)
    """Questions until the answer is JSON with a label of the scale and a reason; else the row is an error."""
    attempts: int = Field(default=5, gt=0)
    """Requests until one is served: after errors of the connection, time-outs, `429` and `5xx`."""
    backoff: float = Field(default=1.0, ge=0)
    """Seconds before the second request; twice as long before each further one, and longer if the server says so."""
    longest_wait: float = Field(default=120.0, gt=0)
    """Seconds that a server's `Retry-After` may ask for; beyond that the row is an error."""
    timeout: float = Field(default=60.0, gt=0)
    """Seconds of one request, from connecting to the last byte."""
    response_bytes: int = Field(default=1 << 20, gt=0)
    """Of one response."""
    give_up: int = Field(default=5, gt=0)
    """Rows in a row that the server served nothing for, after which the run stops."""
    prompt_price: float = Field(default=0.0, ge=0)
    """Of a million tokens of prompt."""
    answer_price: float = Field(default=0.0, ge=0)
    """Of a million tokens of answer."""
    currency: str = "USD"

    @field_validator("url")
    @classmethod
    def _plain(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("the endpoint is given as https://host/v1, without query or fragment")
        if parts.username or parts.password:
            raise ValueError("a key does not belong into the configuration: name its environment variable, api_key_env")
        return url.rstrip("/")


class Asking(Strict):
    """Where it runs. Only `batch` may not change when a run is resumed."""

    where: Literal["auto", "process", "ray"] = "auto"
    """`auto`: in this process below `process_items` items, else on Ray."""
    process_items: int = Field(default=300, ge=0)
    actors: int = Field(default=2, gt=0)
    """Processes on Ray, each with its own client."""
    batch: int = Field(default=32, gt=0)
    """Rows in one committed part: the unit of work and of resuming."""


class AnswerDistillation(Strict):
    """A teacher labels rows and says why."""

    name: str
    """Of the data set."""
    purpose: str
    """One sentence for the card."""
    limits: tuple[str, ...] = ()
    """What the labels must not be trusted with; for the card."""
    licence: str = ""
    """Of the rows, and what the teacher's terms say of its answers; for the card."""
    rows: Rows
    scale: tuple[str, ...] = Field(default=FILM_SCALE, min_length=2)
    """Labels, mildest first."""
    scale_from: dict[str, str] = Field(default_factory=dict)
    """For an expert as teacher whose weights are on another scale, as in a `rate` configuration."""
    trusted: Trusted = Trusted()
    teacher: str = ENDPOINT
    """`endpoint`, or `expert:NAME` for an expert here: a default one (`expert:text`), or that under `expert:`."""
    expert: ExpertSettings | None = None
    """An expert with weights of yours, as in a `rate` configuration: `{kind: text, name: mine, weights: …}`."""
    endpoint: Endpoint | None = None
    question: Question = Question()
    policy: PolicyName = "ask_again_then_discard"
    """What happens where teacher and trusted label disagree (arXiv:2310.03400)."""
    budget: float | None = Field(default=None, gt=0)
    """Most that the rows in one folder may cost, in the endpoint's currency: the run stops before it would be passed.
    What a killed run had asked and not committed is not known to it."""
    asking: Asking = Asking()

    @model_validator(mode="after")
    def _consistent(self) -> AnswerDistillation:
        if self.teacher == ENDPOINT and self.endpoint is None:
            raise ValueError("the teacher is an endpoint: say which one under `endpoint:`, with `url` and `model`")
        if self.teacher != ENDPOINT and not self.teacher.startswith(EXPERT):
            raise ValueError(f"the teacher is `endpoint` or `expert:NAME`, not {self.teacher!r}")
        if self.teacher == ENDPOINT and self.scale != FILM_SCALE and not self.question.instructions:
            raise ValueError("say what the labels of your scale mean: `question: {instructions: …}`")
        if self.trusted.column and self.trusted.column in self.question.show:
            raise ValueError(f"the teacher would be shown the trusted label itself: {self.trusted.column}")
        if unknown := sorted(set(self.trusted.mapping.values()) - set(self.scale)):
            raise ValueError(f"`trusted.mapping` leads to {', '.join(unknown)}, not on the scale")
        if self.budget and self.endpoint and not (self.endpoint.prompt_price or self.endpoint.answer_price):
            raise ValueError("a budget needs `prompt_price` and `answer_price`, or it could never be reached")
        return self
