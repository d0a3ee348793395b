"""OpenNMT-py as a worker: its own training loop and its own translator, called from outside."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers.protocol import Channel, Meter, serve, serve_decoding

# its checkpoints hold its options, which torch no longer unpickles by default
torch.load = functools.partial(torch.load, weights_only=False)

CHECKPOINT = "model"


def options(work: dict[str, Any]) -> dict[str, Any]:
    """The configuration that matches the work; what is not named is the toolkit's default."""
    data = Path(work["data"])
    return {
        "data": {
            "corpus": {
                "path_src": str(data / "train.source"),
                "path_tgt": str(data / "train.target"),
                "transforms": [],
            }
        },
        "src_vocab": str(data / "vocabulary"),
        "tgt_vocab": str(data / "vocabulary"),
        "share_vocab": True,
        "save_model": str(Path(work["model"]) / CHECKPOINT),
        "overwrite": True,
        "encoder_type": "brnn",
        "decoder_type": "rnn",
        "rnn_type": "LSTM",
        "layers": 1,
        "word_vec_size": work["embedding"],
        "hidden_size": work["hidden"],
        "global_attention": "mlp",
        "dropout": [work["dropout"]],
        "optim": "adam",
        "learning_rate": work["learning_rate"],
        "max_grad_norm": 1.0,
        "label_smoothing": work["label_smoothing"],
        "batch_type": "sents",
        "batch_size": work["batch"],
        "normalization": "tokens",
        "train_steps": 10_000_000,
        "valid_steps": 10_000_000,
        "save_checkpoint_steps": 0,
        # the texts once: several times over, equal lines fall into one batch, and it drops them
        "bucket_size": work["pairs"],
        "num_workers": 0,  # its loading processes would take the cores from the training
        "report_every": 50,
        "world_size": 1,
        "gpu_ranks": [],
    }


def train(work: dict[str, Any], channel: Channel) -> None:
    """Run ``onmt_train`` with a meter in its loop."""
    from onmt.bin import train as command  # type: ignore[import-not-found]
    from onmt.trainer import Trainer  # type: ignore[import-not-found]

    original = Trainer._gradient_accumulation  # noqa: SLF001 the one update of its loop
    meters: list[Meter] = []

    def metered(trainer: Any, batches: Any, normalization: Any, total: Any, report: Any) -> None:
        original(trainer, batches, normalization, total, report)
        if not meters:
            parameters = sum(each.numel() for each in trainer.model.parameters())
            save = functools.partial(trainer.model_saver.save, 1)
            meters.append(Meter(channel, parameters, save))
        for batch in batches:
            target = batch["tgt"][:, 1:, 0]  # the first column is bos
            meters[0].step(int(target.ne(trainer.train_loss.padding_idx).sum()), len(target))

    Trainer._gradient_accumulation = metered  # noqa: SLF001 likewise
    Path(work["model"]).mkdir(parents=True, exist_ok=True)
    configuration = Path(work["model"]) / "train.yaml"  # JSON is YAML
    configuration.write_text(json.dumps(options(work)), encoding="utf-8")
    parsed, _ = command._get_parser().parse_known_args(["--config", str(configuration)])  # noqa: SLF001 as its own main does
    command.train(parsed)


def decode(work: dict[str, Any], channel: Channel) -> None:
    """Answer with what ``onmt_translate`` would."""
    from onmt.bin.translate import _get_parser  # type: ignore[import-not-found]
    from onmt.inference_engine import InferenceEnginePY  # type: ignore[import-not-found]
    from onmt.utils.parse import ArgumentParser  # type: ignore[import-not-found]

    model = Path(work["model"]) / f"{CHECKPOINT}_step_1.pt"
    parsed = _get_parser().parse_args(
        ["--model", str(model), "--src", os.devnull, "--output", os.devnull]
    )
    ArgumentParser.validate_translate_opts(parsed)
    ArgumentParser._get_all_transform_translate(parsed)  # noqa: SLF001 as its own main does
    ArgumentParser._validate_transforms_opts(parsed)  # noqa: SLF001 likewise
    ArgumentParser.validate_translate_opts_dynamic(parsed)
    engine = InferenceEnginePY(parsed)

    def translate(sources: list[Any], beam: int, batch: int) -> list[list[int]]:
        parsed.beam_size = engine.translator.beam_size = beam
        parsed.batch_size, parsed.batch_type = batch, "sents"
        _, found = engine.infer_list(sources)
        return [[int(word) for word in best.split() if word.isdigit()] for best, *_ in found]

    serve_decoding(channel, translate)


if __name__ == "__main__":
    serve(train, decode)
