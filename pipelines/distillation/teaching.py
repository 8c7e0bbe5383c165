"""From the configuration to the graph that labels rows: decode → teacher → what became of each row."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from capitoline.configs.answers import ENDPOINT, EXPERT, AnswerDistillation, Endpoint
from capitoline.configs.settings import ExpertSettings, Settings
from capitoline.modalities.schema import Item
from capitoline.pipelines.assembly import all_absent, build_decoder
from capitoline.pipelines.distillation.answer import Usage
from capitoline.pipelines.distillation.chat_teacher import ChatTeacher, Patience
from capitoline.pipelines.distillation.endpoint import Endpoint as Client
from capitoline.pipelines.distillation.labelling import Court, LabelByChat, LabelByExpert
from capitoline.pipelines.distillation.ledger import Prices
from capitoline.pipelines.distillation.pace import Pace
from capitoline.pipelines.distillation.policies import POLICIES
from capitoline.pipelines.distillation.prompt import PICTURE_TOKENS, Prompt
from capitoline.pipelines.distillation.provenance import Source
from capitoline.pipelines.distillation.trust import Trust
from capitoline.pipelines.experts import KINDS, build_expert, weights_digests
from capitoline.pipelines.graph import ITEMS, Graph, Node
from capitoline.pipelines.records import DECODE

LABEL = "label"
EXPERT_SECONDS = 10.0
"""That an expert may take over each item of a batch, beside its own limit."""
QUESTION_TOKENS = 150
"""Of an objection and the answer it objects to."""


def answer_graph(settings: AnswerDistillation, processes: int) -> Graph:
    """`processes` share the limits of requests and tokens a minute."""
    rating = rating_settings(settings)
    decode = Node(DECODE, (ITEMS,), partial(build_decoder, rating))
    if settings.teacher == ENDPOINT:
        return Graph((decode, Node(LABEL, (DECODE,), partial(_label_by_chat, settings, processes))))
    (chosen,) = rating.experts
    expert = Node(
        chosen.name,
        (DECODE,),
        partial(build_expert, chosen, rating),
        idle=partial(all_absent, chosen.name, KINDS[chosen.kind].looks_at),
        cpus=chosen.placement.cpus,
        gpus=chosen.placement.gpus,
    )
    return Graph((decode, expert, Node(LABEL, (DECODE, chosen.name), partial(_label_by_expert, settings), cpus=0.1)))


def rating_settings(settings: AnswerDistillation) -> Settings:
    """A job of the one expert that teaches, or of none.

    Raises:
        ValueError: there is no expert of that name.
    """
    experts: tuple[ExpertSettings, ...] = ()
    if settings.teacher != ENDPOINT:
        own = (settings.expert,) if settings.expert else ()
        known = {expert.name: expert for expert in (*Settings().experts, *own)}
        name = settings.teacher.removeprefix(EXPERT)
        if name not in known:
            raise ValueError(f"there is no expert {name!r} to teach; there are {', '.join(known)}")
        experts = (known[name],)
    return Settings(scale=settings.scale, scale_from=settings.scale_from, experts=experts)


def source_of(settings: AnswerDistillation) -> Source:
    """Who is asked, and what.

    Raises:
        ValueError: an expert or weights that are not there, or a key that is not set.
    """
    if settings.endpoint is None or settings.teacher != ENDPOINT:
        (digest,) = weights_digests(rating_settings(settings)).values()
        return Source(settings.teacher, digest, "")
    if missing := _without_key(settings.endpoint):
        raise ValueError(missing)
    return Source(settings.endpoint.url, settings.endpoint.model, prompt_of(settings).digest)


def prompt_of(settings: AnswerDistillation) -> Prompt:
    question = settings.question
    return Prompt(settings.scale, question.instructions, question.show, question.characters, question.pictures)


def trust_of(settings: AnswerDistillation) -> Trust:
    return Trust(settings.trusted.column, settings.trusted.mapping, settings.scale)


def prices_of(settings: AnswerDistillation) -> Prices:
    one = settings.endpoint
    return Prices(one.prompt_price, one.answer_price, one.currency) if one else Prices()


def foreseen(settings: AnswerDistillation, item: Item) -> Usage:
    """What asking about an item takes at most, if every answer comes in the form asked for; before it is decoded."""
    if settings.endpoint is None or settings.teacher != ENDPOINT:
        return Usage()
    shown = len((item.text or "").encode()[: 4 * settings.question.characters]) + sum(map(len, item.tags or ()))
    pictures = PICTURE_TOKENS * len(item.files) if settings.question.pictures else 0
    once = (len(prompt_of(settings).system) + shown) // 3 + QUESTION_TOKENS + pictures
    twice = settings.policy.startswith("ask_again") and trust_of(settings)(item) != ""
    answer = settings.endpoint.answer_tokens
    return Usage(2, 2 * once + answer, 2 * answer) if twice else Usage(1, once, answer)


def deadline(settings: AnswerDistillation, processes: int, items: int) -> float:
    """Seconds that a process may take over a batch before it is taken for hung: with every attempt failing slowly."""
    rating = rating_settings(settings)
    decoding = rating.limits.item_seconds * items
    one = settings.endpoint
    if one is None or settings.teacher != ENDPOINT:
        return decoding + rating.limits.expert_seconds + EXPERT_SECONDS * items
    requests = 2 * one.answers * one.attempts
    patience = requests * (2 * one.timeout + max(one.longest_wait, one.backoff * 2.0**one.attempts))
    tokens = settings.question.characters + one.answer_tokens + PICTURE_TOKENS * 4 * settings.question.pictures
    pace = max(60 / (one.requests_per_minute or 6e9), 60 * tokens / (one.tokens_per_minute or 6e9)) * processes
    return decoding + items * (patience / min(one.concurrency, items) + requests * pace) + patience


def _label_by_chat(settings: AnswerDistillation, processes: int) -> LabelByChat:
    one, prompt = settings.endpoint, prompt_of(settings)
    assert one is not None
    client = Client(one.url, _key(one), one.timeout, one.response_bytes, one.concurrency)
    pace = Pace(_share(one.requests_per_minute, processes), _share(one.tokens_per_minute, processes))
    patience = Patience(one.answers, one.attempts, one.backoff, one.longest_wait, one.give_up)
    teacher = ChatTeacher(client, prompt, _parameters(one), one.answer_tokens, pace, patience, _without_key(one))
    return LabelByChat(teacher, _court(settings), one.concurrency, prompt.cuts)


def _label_by_expert(settings: AnswerDistillation) -> LabelByExpert:
    return LabelByExpert(_court(settings), settings.scale)


def _court(settings: AnswerDistillation) -> Court:
    return Court(POLICIES[settings.policy], trust_of(settings))


def _parameters(one: Endpoint) -> dict[str, Any]:
    parameters: dict[str, Any] = {"model": one.model, "stream": False, one.tokens_parameter: one.answer_tokens}
    parameters |= {} if one.temperature is None else {"temperature": one.temperature}
    return parameters | ({"response_format": {"type": "json_object"}} if one.json_mode else {})


def _key(one: Endpoint) -> str:
    return os.environ.get(one.api_key_env, "").strip() if one.api_key_env else ""


def _without_key(one: Endpoint) -> str:
    """What is wrong if the key is not there, which can happen on one node of a cluster only, or cannot be sent."""
    key = _key(one)
    if one.api_key_env and not key:
        return f"the environment variable {one.api_key_env} holds no key; set it, on every node"
    if not (key.isascii() and key.isprintable()):
        return f"the environment variable {one.api_key_env} holds line ends or letters that no key has"
    return ""


def _share(limit: float | None, processes: int) -> float | None:
    return None if limit is None else limit / processes
