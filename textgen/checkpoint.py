"""A model as a folder: what it is made of, its tokenizer, its weights, and its training's state.

```
config.json            format version, kind, textgen version, configuration
tokenizer.json …       written by ``textgen.data.tokenizers``
model.safetensors      the best weights
training.safetensors   all that ``--resume`` needs, in one file
```
Each file is replaced atomically (``textgen.atomic``), so that whatever kills the process leaves the
old file or the new one. Loading executes no code: there is no pickle. A
checksum in each header shows damage that leaves a file's structure intact.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from textgen import atomic, staging
from textgen.errors import CheckpointError, nearest
from textgen.renames import renamed

FORMAT = 3
"""Of config.json: 2 knows the texts that a model was made from."""
TENSORS_FORMAT = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TRAINING = "training.safetensors"
LEXICON = "lexicon.safetensors"
TOKENIZER, SOURCE_TOKENIZER = "tokenizer", "source_tokenizer"
"""Names of the tokenizers; the source's is there where it is not the target's."""
KEPT = "kept-models"
"""A folder of models of earlier validations."""

OWN = (
    *(CONFIG, WEIGHTS, TRAINING, LEXICON, KEPT),
    *(f"{name}.{ending}" for name in (TOKENIZER, SOURCE_TOKENIZER) for ending in ("json", "model")),
)
"""All files of a model. A new model in the folder replaces them all; other files stay."""

_HEADER = "textgen"

_CHECKOUT = Path(__file__).resolve().parent.parent / "checkpoints"
_BUNDLED = Path(__file__).resolve().parent / "_bundled" / "checkpoints"


@dataclass(frozen=True)
class ModelConfig:
    """The contents of ``config.json``.

    Attributes:
        kind: "language-model" or "translator".
        textgen: version of the textgen that wrote it.
        config: nested plain data.
        facts: plain data about what it was trained on.
    """

    kind: str
    textgen: str
    config: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)


def save_config(
    folder: Path, kind: str, config: Mapping[str, Any], facts: Mapping[str, Any] | None = None
) -> None:
    """Write ``config.json``; makes the folder.

    Raises:
        CheckpointError: if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be made: {error.strerror}.") from None
    data = {"format": FORMAT, "kind": kind, "textgen": version("textgen"), "config": config}
    data["facts"] = dict(facts or {})
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    atomic.write_text(folder / CONFIG, text, CheckpointError)


def read_config(folder: Path, kind: str | None = None) -> ModelConfig:
    """Read ``config.json``.

    Args:
        folder: of the model.
        kind: what the model must be; None takes any.

    Raises:
        CheckpointError: if it is missing, damaged, of another format or of another kind.
    """
    recover_model(folder)
    path = folder / CONFIG
    data = _read_json(path)
    found = data.get("format")
    if not isinstance(found, int) or isinstance(found, bool):
        raise CheckpointError(f"{path}: is not the config.json of a textgen model.")
    if not 1 <= found <= FORMAT:
        raise CheckpointError(
            f"{path}: has format {found}, but this textgen reads formats 1 to {FORMAT}. "
            f"It was written by textgen {data.get('textgen', 'of unknown version')}."
        )
    for older in range(found, FORMAT):
        data = _UPGRADES[older](data)
    name, config = data.get("kind"), data.get("config")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise CheckpointError(f"{path}: is damaged: kind or config are missing.")
    if kind is not None and name != kind:
        raise CheckpointError(f"{folder}: holds a {name}, but a {kind} is needed.")
    facts = data.get("facts", {})
    if not isinstance(facts, dict):
        raise CheckpointError(f"{path}: is damaged: its facts are no table.")
    return ModelConfig(name, str(data.get("textgen", "")), config, facts)


def _from_1(data: dict[str, Any]) -> dict[str, Any]:
    """Format 1 knew nothing of the texts; all else is the same."""
    return data


def _from_2(data: dict[str, Any]) -> dict[str, Any]:
    """Format 2 had other names of some keys."""
    config = data.get("config")
    return {**data, "config": renamed(config)[0]} if isinstance(config, dict) else data


_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
"""Readers of older formats: of version n to data of version n + 1."""


def save_weights(
    folder: Path,
    model: nn.Module,
    facts: Mapping[str, Any],
    *,
    instead: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the model's weights.

    Args:
        folder: exists.
        model: as it stands.
        facts: plain data kept with them: step, figures.
        instead: tensors by name that are saved in place of the model's own.

    Raises:
        CheckpointError: if they cannot be written; the weights before are untouched.
    """
    save_tensors(folder / WEIGHTS, {**weights_of(model), **(instead or {})}, facts)


def load_weights(folder: Path, model: nn.Module) -> dict[str, Any]:
    """Fill a model with its saved weights.

    Returns:
        The facts that were kept with them.

    Raises:
        CheckpointError: if the file is missing, damaged, or of a model of other sizes.
    """
    tensors, facts = load_tensors(folder / WEIGHTS)
    restore_weights(model, tensors, str(folder / WEIGHTS))
    return facts


def save_training_state(
    folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Write the state of a training; the arguments are those of ``TrainingState``.

    Raises:
        CheckpointError: if it cannot be written; the state before is untouched.
    """
    save_tensors(folder / TRAINING, tensors, facts)


def load_training_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the state of a training.

    Raises:
        CheckpointError: if there is none, or it is damaged.
    """
    return load_tensors(folder / TRAINING)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, shared ones once; live, not copied."""
    lasting = model.state_dict(keep_vars=True)
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach() for name, tensor in named if name in lasting}


def restore_weights(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Fill a model in place.

    Raises:
        CheckpointError: if names or shapes differ; names ``where`` and the first difference.
    """
    own = weights_of(model)
    for name in sorted(own.keys() | tensors.keys()):
        if name not in tensors:
            raise CheckpointError(f"{where}: does not fit the model: {name} is missing.")
        if name not in own:
            raise CheckpointError(f"{where}: does not fit the model: {name} is unknown to it.")
        if own[name].shape != tensors[name].shape:
            raise CheckpointError(
                f"{where}: does not fit the model: {name} is {_shape(tensors[name])}, "
                f"but {_shape(own[name])} is needed."
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and plain data as one safetensors file, whole or not at all.

    The same contents make the same bytes.

    Raises:
        CheckpointError: if it cannot be written; a file that was there is untouched.
    """
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": TENSORS_FORMAT, "facts": facts, "checksum": _checksum(ready, facts)}
    # one entry, since safetensors writes several in any order
    metadata = {_HEADER: json.dumps(header, sort_keys=True)}
    atomic.write(
        path,
        lambda beside: save_file(ready, beside, metadata),
        CheckpointError,
        failures=(SafetensorError,),
    )


def weights_checksum(folder: Path) -> str:
    """The checksum in the header of a model's weights, by which they are known again.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            return str(header["checksum"])
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file.") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        raise CheckpointError(f"{path}: is damaged: its header cannot be read.") from None


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``save_tensors`` wrote.

    Raises:
        CheckpointError: if the file is missing, cut off, damaged or foreign.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a mapping
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: is cut off, damaged or no safetensors file: {error}."
        ) from None
    if _HEADER not in metadata:
        raise CheckpointError(f"{path}: is a safetensors file, but not one of textgen.")
    return tensors, _facts(path, tensors, metadata[_HEADER])


def _facts(path: Path, tensors: Mapping[str, Tensor], text: str) -> dict[str, Any]:
    """The plain data of a file's header, after its checksum was found right."""
    try:
        header = json.loads(text)
        form, checksum = header["format"], header["checksum"]
        facts: dict[str, Any] = header["facts"]
        right = checksum == _checksum(tensors, facts)
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path}: is damaged: its header cannot be read.") from None
    if form != TENSORS_FORMAT:
        raise CheckpointError(
            f"{path}: has format {form}, but this textgen reads {TENSORS_FORMAT}."
        )
    if not right:
        raise CheckpointError(f"{path}: is damaged: its checksum is wrong.")
    return facts


def commit_model(folder: Path, *, keep: bool) -> None:
    """Put the files that are staged in ``folder`` (``textgen.staging``) in place, as one.

    Args:
        folder: of the model.
        keep: keep files of the model that no staged one replaces.

    Raises:
        CheckpointError: if it fails; the model before is untouched, or the new one is complete and
            put in place by the next command that reads it.
    """
    staging.commit(folder, () if keep else _own(folder), CONFIG)


def recover_model(folder: Path) -> None:
    """Complete a ``commit_model`` that was interrupted.

    Raises:
        CheckpointError: if it cannot be completed.
    """
    staging.recover(folder, _own(folder), CONFIG)


def _own(folder: Path) -> tuple[str, ...]:
    """Names of the files of a folder's model, its vocabularies among them."""
    try:
        data = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        names = [Path(name).name for name in data["facts"]["vocabularies"].values()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        names = []  # there is no model, or one of a format that had no others
    return (*OWN, *(f"{name}.{ending}" for name in names for ending in ("json", "model")))


def find_model(name: str | Path) -> Path:
    """The folder of a model.

    Args:
        name: a folder, or the name of one under ``checkpoints/`` here or in the checkout, or of
            one that comes with textgen.

    Raises:
        CheckpointError: if there is none; suggests the nearest name.
    """
    given = Path(name)
    recover_model(given)
    if (given / CONFIG).is_file():
        return given
    known = {model.name: model for model in reversed(list(known_models()))}
    if str(name) in known:
        return known[str(name)]
    if given.is_dir():
        raise CheckpointError(f"{given}: is no model: there is no {CONFIG} in it.")
    raise CheckpointError(
        f"There is no model {str(name)!r}.{nearest(str(name), known)} Or name a model's folder."
    )


def known_models() -> Iterable[Path]:
    """Folders of the models that can be asked for by name, each once; earlier ones come first."""
    places = [Path("checkpoints"), _CHECKOUT, _CHECKOUT / "bundled", _BUNDLED]
    seen = set()
    for place in places:
        for folder in sorted(path.parent for path in place.glob(f"*/{CONFIG}")):
            real = folder.resolve()  # in a checkout the first place is the second
            if real not in seen and not folder.name.startswith("."):
                seen.add(real)
                yield folder


def _checksum(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    """A checksum of names, types, shapes and bytes of all tensors, and of the facts."""
    total = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total = zlib.crc32(f"{name} {tensor.dtype} {_shape(tensor)}".encode(), total)
        total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def _shape(tensor: Tensor) -> str:
    return " × ".join(str(size) for size in tensor.shape) or "a number"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: is damaged: {error}.") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: is not the config.json of a textgen model.")
    return data
