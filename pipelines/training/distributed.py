"""Several processes or GPUs on one training, through Ray Train: the same program in each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capitoline.configs.training import Training, load_configuration


def train_together(config: Path, out: Path, data: Path, folds: int, workers: int, address: str) -> Path:
    """As `train`, by `workers` processes on the Ray at `address`, or on one of our own; on GPUs if there are enough.

    Every process reads `data` and the leading one writes `out`: on several machines both must be shared folders.

    Raises:
        ValueError: there are more processes than examples in a batch.
        RuntimeError: a process failed; the same command continues from the last checkpoint.
    """
    import ray
    from ray.train import RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    from capitoline.pipelines.cluster import start_ray
    from capitoline.pipelines.training.folded import WHOLE

    settings = load_configuration(config, Training)
    if settings.batch < workers:
        raise ValueError(f"{workers} processes cannot share batches of {settings.batch} examples; give a larger batch")
    owned = start_ray(address)
    try:
        gpus = ray.cluster_resources().get("GPU", 0) >= workers  # type: ignore[no-untyped-call]
        arguments = {"config": config, "out": out, "data": data}
        trainer = TorchTrainer(
            _worker,
            train_loop_config={name: str(path.resolve()) for name, path in arguments.items()} | {"folds": folds},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus),
            torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
            run_config=RunConfig(name="ray", storage_path=str(out.resolve())),
        )
        trainer.fit()
    except TrainingFailedError as error:
        raise RuntimeError(f"a process of the training failed: {error}") from error
    finally:
        if owned:
            ray.shutdown()
    return (out / WHOLE if folds else out) / f"{settings.name}.safetensors"


def _worker(arguments: dict[str, Any]) -> None:
    import torch
    from ray.train import get_context

    from capitoline.pipelines.train import train
    from capitoline.pipelines.training.peers import Peers

    torch.set_num_threads(1)
    peers = Peers(get_context().get_world_rank(), get_context().get_world_size())
    config, out, data = (Path(arguments[name]) for name in ("config", "out", "data"))
    train(config, out, data, arguments["folds"], peers)
