"""Distillation of a sentence encoder into the text trunk: no label is read, so any text will do.

    distil_features(Path("configs/distil/trunk.yaml"), Path("runs/trunk"), Path("../shared/data"))

The run's folder holds the teacher's vectors (`teacher/`, `tokens/`), `checkpoint.pt` (to continue after
an interruption, exactly), `metrics.jsonl`, the weights and their card. The other kind of
distillation, from a teacher's answers, is `distillation/answers.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch.optim import AdamW

from capitoline.configs.distillation import FeatureDistillation
from capitoline.configs.training import load_configuration
from capitoline.modalities.language.vocabulary import BEGIN, Tokens, Vocabulary
from capitoline.modalities.networks.sequence import Shape, network_metadata, pack
from capitoline.modalities.weights import write_weights
from capitoline.pipelines.distillation.feature_card import write_card
from capitoline.pipelines.distillation.passages import read_passages
from capitoline.pipelines.distillation.pupil import (
    Pupil,
    cosine_loss,
    start_embedding,
    token_texts,
    used_vocabulary,
)
from capitoline.pipelines.distillation.teacher import teacher_vectors
from capitoline.pipelines.training.arithmetic import autocast, filled
from capitoline.pipelines.training.memory import keep_freed_memory
from capitoline.pipelines.training.optimiser import cosine, make_optimiser, set_rate
from capitoline.pipelines.training.run_folder import RunFolder
from capitoline.pipelines.training.writing import stored

STEPS_A_CHECKPOINT = 250

HELD_OUT = 100
"""One passage in so many is kept out of training, to measure how well the teacher was understood."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Passages in the pupil's tokens with the teacher's vectors of them."""

    tokens: Sequence[Tokens]
    teacher: npt.NDArray[np.float16]
    """(N, E) unit vectors."""

    def vectors(self, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """(B, E) float32."""
        return torch.from_numpy(self.teacher[rows].astype(np.float32))


def distil_features(config_path: Path, out: Path, data: Path) -> Path:
    """Train the trunk that `config_path` describes on texts under `data`; the path of the weights in `out`.

    A run that was interrupted in `out` is continued.

    Raises:
        ValueError: the configuration, the texts or the teacher cannot be had, or `out` holds another run.
    """
    keep_freed_memory()
    settings = load_configuration(config_path, FeatureDistillation)
    folder = RunFolder(out, settings)
    passages = read_passages(settings.texts, data, settings.characters)
    whole = Vocabulary.whole()
    vocabulary = used_vocabulary([whole.encode(one) for one in passages], settings.rarest)
    teacher = _vectors(settings, passages, out / "teacher", "passages")
    lesson = Lesson([vocabulary.encode(one) for one in passages], teacher)
    pupil = _start(settings, vocabulary, teacher.shape[1], out)
    _fit(pupil, lesson, settings, folder)
    return _ship(pupil, vocabulary, lesson, settings, out)


def _start(settings: FeatureDistillation, vocabulary: Vocabulary, teacher_width: int, out: Path) -> Pupil:
    torch.manual_seed(settings.seed)
    sizes = settings.network
    shape = Shape(sizes.width, sizes.layers, sizes.features, labels=0, vocabulary=len(vocabulary))
    pupil = Pupil(shape, teacher_width)
    texts = token_texts(vocabulary)
    vectors = _vectors(settings, texts, out / "tokens", "tokens")
    start_embedding(pupil.network, vectors.astype(np.float32))
    return pupil


def _vectors(settings: FeatureDistillation, texts: Sequence[str], folder: Path, what: str) -> npt.NDArray[np.float16]:
    """The teacher's, of `texts`."""
    return teacher_vectors(settings.teacher, texts, folder, settings.workers, what, settings.arithmetic)


def _fit(pupil: Pupil, lesson: Lesson, settings: FeatureDistillation, folder: RunFolder) -> None:
    """All steps, each seeded by its number, so that a continued run equals an undisturbed one."""
    optimiser = make_optimiser(pupil, settings.rate, settings.decay)
    rows = np.flatnonzero(np.arange(len(lesson.tokens)) % HELD_OUT)
    batches = -(-len(rows) // settings.batch)
    steps, first = settings.epochs * batches, _resume(pupil, optimiser, folder)
    pupil.train()
    with Progress() as progress:
        task = progress.add_task("distilling", total=steps, completed=first)
        losses: list[float] = []
        for step in range(first, steps):
            epoch, place = divmod(step, batches)
            order = np.random.default_rng((settings.seed, epoch)).permutation(rows)
            draw = np.random.default_rng((settings.seed, epoch, place))
            set_rate(optimiser, settings.rate * cosine(step, steps, settings.warmup))
            losses.append(_step(pupil, optimiser, lesson, order[place::batches], settings, draw))
            progress.update(task, advance=1)
            if (step + 1) % STEPS_A_CHECKPOINT == 0 or step + 1 == steps:
                agreement = 1.0 - float(np.mean(losses))
                progress.update(task, description=f"distilling: cosine {agreement:.3f}")
                _log(folder.path, {"step": step + 1, "of": steps, "cosine": round(agreement, 4)})
                folder.save({"pupil": pupil.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1})
                losses.clear()


def _resume(pupil: Pupil, optimiser: AdamW, folder: RunFolder) -> int:
    """The step to go on with; 0 in a new folder."""
    state = folder.saved()
    if state is None:
        return 0
    pupil.load_state_dict(state["pupil"])
    optimiser.load_state_dict(state["optimiser"])
    step: int = state["step"]
    return step


def _step(
    pupil: Pupil,
    optimiser: AdamW,
    lesson: Lesson,
    rows: npt.NDArray[np.int64],
    settings: FeatureDistillation,
    draw: np.random.Generator,
) -> float:
    sequences = [_begun(lesson.tokens[row], settings.forget, draw) for row in rows.tolist()]
    with autocast(pupil, settings.arithmetic):
        guess = pupil(*pack(filled(sequences, settings.arithmetic)))[: len(rows)]
    loss = cosine_loss(guess.float(), lesson.vectors(rows))
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(pupil.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def _begun(tokens: Tokens, forget: float, draw: np.random.Generator | None) -> Tokens:
    kept = tokens if draw is None else tokens[draw.random(len(tokens)) >= forget]
    return np.concatenate(([BEGIN], kept))


@torch.inference_mode()
def agreement(pupil: Pupil, lesson: Lesson) -> float:
    """Mean cosine of the pupil's and the teacher's vectors of the passages that were held out."""
    pupil.eval()
    rows = np.arange(0, len(lesson.tokens), HELD_OUT)
    losses = [
        cosine_loss(pupil(*pack([_begun(lesson.tokens[row], 0.0, None)])), lesson.vectors(np.array([row])))
        for row in rows.tolist()
    ]
    return 1.0 - float(torch.stack(losses).mean())


def _ship(pupil: Pupil, vocabulary: Vocabulary, lesson: Lesson, settings: FeatureDistillation, out: Path) -> Path:
    """Write the body without the guess, in bfloat16 with the table of tokens in int8, and its card."""
    network = pupil.network
    tensors = stored(network, "int8")
    tensors["vocabulary"] = torch.from_numpy(vocabulary.kept)
    held_out = agreement(pupil, lesson)
    metadata = {
        "kind": "text",
        "labels": [],
        "teacher": settings.teacher,
        "agreement": round(held_out, 4),
        "seed": settings.seed,
        "sources": [one.model_dump(include={"file", "licence"}) for one in settings.texts],
        **network_metadata(network),
    }
    path = out / f"{settings.name}.safetensors"
    write_weights(path, tensors, metadata)
    write_card(out / f"{settings.name}.md", settings, len(lesson.tokens), len(vocabulary), held_out)
    return path


def _log(out: Path, line: dict[str, float]) -> None:
    with (out / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
