"""JoeyNMT as a worker: its own training loop and its own prediction, called from outside."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from benchmarks.peers.protocol import Channel, Meter, serve, serve_decoding

# its checkpoints hold its own objects, which torch no longer unpickles by default
torch.load = functools.partial(torch.load, weights_only=False)


def _plateau(*, verbose: bool, optimizer: Any, **settings: Any) -> ReduceLROnPlateau:
    """The scheduler without the argument that torch has dropped."""
    del verbose
    return ReduceLROnPlateau(optimizer, **settings)


def configuration(work: dict[str, Any]) -> dict[str, Any]:
    """The configuration that matches the work; what is not named is the toolkit's default."""
    data = Path(work["data"])
    side = {"level": "word", "lowercase": False, "voc_file": str(data / "vocabulary")}
    half = work["hidden"] // 2
    embeddings = {"embedding_dim": work["embedding"], "dropout": work["dropout"]}
    return {
        "name": "peer",
        "joeynmt_version": "2.3.0",
        "model_dir": work["model"],
        "use_cuda": False,
        "fp16": False,
        "data": {
            "train": str(data / "train"),
            "dev": str(data / "valid"),
            "dataset_type": "plain",
            "src": {"lang": "source", **side},
            "trg": {"lang": "target", **side},
        },
        "testing": {"beam_size": 1, "beam_alpha": 1.0, "batch_type": "sentence"},
        "training": {
            "optimizer": "adam",
            "learning_rate": work["learning_rate"],
            "learning_rate_min": 1e-9,
            "scheduling": "plateau",
            "clip_grad_norm": 1.0,
            "label_smoothing": work["label_smoothing"],
            "normalization": "tokens",
            "batch_size": work["batch"],
            "batch_type": "sentence",
            "epochs": 100_000,
            "logging_freq": 50,
            "validation_freq": 10_000_000,
            "early_stopping_metric": "loss",
            "overwrite": True,
        },
        "model": {
            "tied_embeddings": False,
            "tied_softmax": False,
            "encoder": {
                "type": "recurrent",
                "rnn_type": "lstm",
                "embeddings": embeddings,
                "hidden_size": half,
                "bidirectional": True,
                "num_layers": 1,
                "dropout": work["dropout"],
            },
            "decoder": {
                "type": "recurrent",
                "rnn_type": "lstm",
                "embeddings": embeddings,
                "hidden_size": work["hidden"],
                "num_layers": 1,
                "dropout": work["dropout"],
                "hidden_dropout": work["dropout"],
                "input_feeding": True,
                "attention": "bahdanau",
            },
        },
    }


def train(work: dict[str, Any], channel: Channel) -> None:
    """Run its ``train`` with a meter in its loop."""
    from joeynmt import builders, training  # type: ignore[import-not-found]
    from joeynmt.helpers import make_model_dir  # type: ignore[import-not-found]

    builders.ReduceLROnPlateau = _plateau
    manager = training.TrainManager
    original = manager._train_step  # noqa: SLF001 the one step of its loop
    meters: list[Meter] = []
    last: list[tuple[int, int]] = []

    def metered(trainer: Any, batch: Any) -> Any:
        # its update follows this call, so that a step is over when the next one begins
        if not meters:
            parameters = sum(each.numel() for each in trainer.model.parameters())
            save = functools.partial(trainer._save_checkpoint, False, float("nan"))  # noqa: SLF001 its own call
            meters.append(Meter(channel, parameters, save))
        if last:
            meters[0].step(*last.pop())
        last.append((int(batch.ntokens), int(batch.nseqs)))
        return original(trainer, batch)

    manager._train_step = metered  # noqa: SLF001 likewise
    make_model_dir(Path(work["model"]), overwrite=True)
    training.train(rank=0, world_size=None, cfg=configuration(work), skip_test=True)


def decode(work: dict[str, Any], channel: Channel) -> None:
    """Answer with what its ``translate`` would."""
    from joeynmt.config import parse_global_args  # type: ignore[import-not-found]
    from joeynmt.prediction import predict, prepare  # type: ignore[import-not-found]

    arguments = parse_global_args(configuration(work), rank=0, mode="translate")
    model, _, _, stream = prepare(arguments, rank=0, mode="translate")

    def translate(sources: list[Any], beam: int, batch: int) -> list[list[int]]:
        stream.reset_cache()
        for source in sources:
            stream.set_item(source)
        _, _, found, _, _, _ = predict(
            model=model,
            data=stream,
            device=arguments.device,
            n_gpu=0,
            normalization="none",
            args=arguments.test._replace(beam_size=beam, batch_size=batch),
            autocast=arguments.autocast,
        )
        return [[int(word) for word in best.split() if word.isdigit()] for best in found]

    serve_decoding(channel, translate)


if __name__ == "__main__":
    serve(train, decode)
