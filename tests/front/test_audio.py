"""What is said is rated; what is not speech is never turned into words."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from capitoline.modalities.audio import Speech
from capitoline.modalities.schema import SAMPLE_RATE, Decoded, Failure, Item, Modality, Outcome
from capitoline.modalities.speech.transcriber import Segment, Transcriber
from capitoline.modalities.speech.voice import Stretch, find_voice, time_in_sound
from capitoline.modalities.speech.whisper_engines import FasterWhisper, OpenAiWhisper
from capitoline.modalities.wheels import WHISPER_TINY_EN, require_wheel
from tests.front.published_whisper import write_published
from tests.front.ratings import CountingRater
from tests.front.sounds import read_sound


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber(FasterWhisper("tiny.en"))


def heard(sound: npt.NDArray[np.int16] | None, failure: Failure | None = None) -> Decoded:
    return Decoded(Item("id"), "digest", sound=sound, failures={Modality.AUDIO: failure} if failure else {})


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()


def edits(expected: list[str], actual: list[str]) -> int:
    """Levenshtein's distance in words."""
    row = list(range(len(actual) + 1))
    for i, one in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(actual, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (one != other))
    return row[-1]


def test_kennedys_words_are_heard_when_they_are_said(data: Path, transcriber: Transcriber) -> None:
    found = transcriber(read_sound(data / "speech_clips" / "jfk.flac"))
    assert "ask not what your country can do for you" in found.text
    assert all(0 <= span.start < span.end <= 11 for span in found.spans)


def test_no_sound_without_speech_gives_words(data: Path, transcriber: Transcriber) -> None:
    files = sorted((data / "esc10_sounds").glob("*.ogg"))
    assert len(files) == 40
    found = {file.name: transcriber(read_sound(file)) for file in files}
    assert {name: one.text for name, one in found.items() if one.text} == {}
    assert {one.reason for one in found.values()} == {"no speech"}


@pytest.mark.parametrize("level", [0, 3_000])
def test_silence_and_hiss_are_no_speech(transcriber: Transcriber, level: int) -> None:
    hiss = np.random.default_rng(0).integers(-level, level + 1, 5 * SAMPLE_RATE).astype(np.int16)
    assert transcriber(hiss).reason == "no speech"


def test_an_empty_sound_is_no_speech(transcriber: Transcriber) -> None:
    assert transcriber(np.zeros(0, np.int16)).reason == "no speech"


@pytest.mark.slow
def test_transcripts_of_clear_speech_are_nine_tenths_right(data: Path, transcriber: Transcriber) -> None:
    folder, wrong, total = data / "speech_clips", 0, 0
    for line in gzip.decompress((folder / "items.jsonl.gz").read_bytes()).splitlines():
        row = json.loads(line)
        if row["transcript"]:
            expected = words(row["transcript"])
            wrong += edits(expected, words(transcriber(read_sound(folder / row["file"])).text))
            total += len(expected)
    assert wrong / total <= 0.1, f"{wrong} of {total} words"


def test_times_are_those_of_the_whole_sound() -> None:
    stretches = [Stretch(2 * SAMPLE_RATE, 4 * SAMPLE_RATE), Stretch(10 * SAMPLE_RATE, 11 * SAMPLE_RATE)]
    assert [time_in_sound(seconds, stretches) for seconds in (0, 1.5, 2, 2.5, 9)] == [2, 3.5, 4, 10.5, 11]


def test_voice_between_long_silences_is_cut_out(data: Path) -> None:
    speech = read_sound(data / "speech_clips" / "speechbrain_spk1_snt1.wav").astype(np.float32) / 32_768
    silence = np.zeros(10 * SAMPLE_RATE, np.float32)
    stretches = find_voice(np.concatenate((silence, speech, silence, speech)), minimum_seconds=1.0)
    assert len(stretches) == 2
    assert stretches[0].start >= 9 * SAMPLE_RATE
    assert stretches[1].start >= 20 * SAMPLE_RATE


@pytest.mark.parametrize(
    ("log_probability", "compression", "no_speech", "believable"),
    [(-0.3, 1.2, 0.1, True), (-1.2, 1.2, 0.1, False), (-0.3, 2.9, 0.1, False), (-0.3, 1.2, 0.7, False)],
)
def test_what_whisper_itself_doubts_is_refused(
    log_probability: float, compression: float, no_speech: float, believable: bool
) -> None:
    assert Segment(0, 1, "a", no_speech, log_probability, compression).believable is believable


def test_each_item_gets_the_outcome_of_its_sound(data: Path, transcriber: Transcriber) -> None:
    rater = CountingRater()
    evidence = Speech(transcriber, rater)(
        [
            heard(None),
            heard(read_sound(data / "speech_clips" / "jfk.flac")),
            heard(None, Failure(Outcome.ERROR, "a truncated file")),
            heard(np.zeros(SAMPLE_RATE, np.int16)),
        ]
    )
    assert [one.outcome for one in evidence] == [Outcome.ABSENT, Outcome.RATED, Outcome.ERROR, Outcome.ABSTAINED]
    assert [one.reason for one in evidence] == ["no audio", "", "a truncated file", "no speech"]
    assert evidence[1].severity == 1
    assert [span.probabilities for span in evidence[1].spans] == [(0.0, 1.0)] * len(evidence[1].spans)


def test_too_few_words_are_not_evidence(data: Path, transcriber: Transcriber) -> None:
    sound = read_sound(data / "speech_clips" / "speechbrain_spk2_snt2.wav")
    (evidence,) = Speech(transcriber, CountingRater(), minimum_words=7)([heard(sound)])
    assert (evidence.outcome, evidence.reason) == (Outcome.ABSTAINED, "fewer than 7 words")
    assert evidence.spans[0].text == "What joy there is in living."


@pytest.mark.slow
def test_both_engines_hear_the_same_words(data: Path, tmp_path: Path, transcriber: Transcriber) -> None:
    """But one in a clip: int8 and float32 round differently, and "there" may become "they're"."""
    file = tmp_path / "tiny.en.pt"
    write_published(require_wheel(WHISPER_TINY_EN), file)
    published = Transcriber(OpenAiWhisper(str(file)))
    for name in ("jfk.flac", "speechbrain_spk1_snt1.wav", "LJ050-0131.wav"):
        sound = read_sound(data / "speech_clips" / name)
        assert edits(words(published(sound).text), words(transcriber(sound).text)) <= 1


@pytest.mark.parametrize("engine", [FasterWhisper, OpenAiWhisper])
def test_a_model_that_is_not_there_says_what_to_do(
    engine: type[FasterWhisper] | type[OpenAiWhisper], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"give .*path"):
        engine(str(tmp_path / "none"))
