"""The matrix products of the models: what cannot be avoided, and what all else is measured by.

Letters: B sources, K hypotheses of each, N rows, T tokens of the output, S of the source,
V vocabulary, E embedding, H hidden. Element-wise work is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.measure import Product
from textgen.models.config import LanguageModelConfig, StackConfig, TranslatorConfig

GATES = 4
"""Of an LSTM."""


def layer(inputs: int, hidden: int, rows: int, steps: int) -> list[Product]:
    """One LSTM layer: the input's share of all steps at once, the recurrent one step by step."""
    return [
        Product(rows * steps, inputs, GATES * hidden),
        Product(rows, hidden, GATES * hidden, times=steps),
    ]


def stack(
    config: StackConfig, inputs: int, rows: int, steps: int, *, looked_up: bool = False
) -> list[Product]:
    """Layers over ``steps`` steps of ``rows`` rows.

    What the first layer's input adds is a product, or ``looked_up``: it has one value for each
    token, so that a table can hold them all.
    """
    sizes = [inputs] + [config.hidden] * (config.layers - 1)
    products = [each for size in sizes for each in layer(size, config.hidden, rows, steps)]
    return products[1:] if looked_up else products


def output(hidden: int, embedding: int, vocabulary: int, rows: int, *, tied: bool) -> list[Product]:
    """The output layer of ``rows`` positions; a tied one first narrows H to E."""
    if not tied:
        return [Product(rows, hidden, vocabulary)]
    narrow = [] if hidden == embedding else [Product(rows, hidden, embedding)]
    return [*narrow, Product(rows, embedding, vocabulary)]


def language_model(
    config: LanguageModelConfig,
    vocabulary: int,
    rows: int,
    steps: int = 1,
    *,
    looked_up: bool = False,
) -> list[Product]:
    """Reading ``steps`` tokens in ``rows`` rows, with logits after each."""
    width = config.embedding_size
    logits = output(config.hidden, width, vocabulary, rows * steps, tied=config.tied)
    return stack(config, width, rows, steps, looked_up=looked_up) + logits


def encoding(config: TranslatorConfig, sources: int, length: int) -> list[Product]:
    """Encoder, bridge and the attention's memory of B sources of S tokens."""
    encoder, hidden = config.encoder_config, config.hidden
    directions = 2 if encoder.bidirectional else 1
    products, size = [], config.embedding
    for _ in range(encoder.layers):
        products += layer(size, encoder.hidden, sources, length) * directions
        size = encoder.output_size
    products.append(Product(sources, size, config.layers * 2 * hidden))
    if config.attention in {"general", "additive"}:
        products.append(Product(sources * length, size, hidden))
    if config.attention != "none":
        products.append(Product(sources * length, size, hidden))
    return products


def attending(config: TranslatorConfig, sources: int, queries: int, length: int) -> list[Product]:
    """Attention of B sources, of each K · T queries, over S states."""
    if config.attention == "none":
        return []
    hidden, rows = config.hidden, sources * queries
    products = [Product(rows, hidden, hidden), Product(queries, length, hidden, batch=sources)]
    if config.attention == "additive":
        return [*products, Product(rows, hidden, hidden), Product(rows * length, hidden, 1)]
    return [*products, Product(queries, hidden, length, batch=sources)]


def decoding(
    config: TranslatorConfig,
    sources: int,
    width: int,
    length: int,
    steps: int = 1,
    *,
    looked_up: bool = False,
) -> list[Product]:
    """The decoder over ``steps`` tokens of K hypotheses for each source, without logits."""
    rows = sources * width
    extra = config.hidden if config.input_feeding else 0
    return [
        *stack(config, config.embedding + extra, rows, steps, looked_up=looked_up and not extra),
        *attending(config, sources, width * steps, length),
    ]


def translator_logits(config: TranslatorConfig, vocabulary: int, rows: int) -> list[Product]:
    """The output layer of a translator."""
    tied = config.tied != "none"
    return output(config.hidden, config.embedding, vocabulary, rows, tied=tied)


def translator(
    config: TranslatorConfig,
    vocabulary: int,
    sources: int,
    lengths: tuple[int, int],
    tokens: int | None = None,
) -> list[Product]:
    """A forward pass over B pairs of S and T tokens, padding included, logits of real ones only."""
    source, target = lengths
    real = sources * target if tokens is None else tokens
    return [
        *encoding(config, sources, source),
        *decoding(config, sources, 1, source, target),
        *translator_logits(config, vocabulary, real),
    ]


def with_backward(products: Iterable[Product]) -> list[Product]:
    """The products and those of their gradients: twice as many operations again.

    Of Y = X W: ∂X = ∂Y Wᵀ, step by step like Y, and ∂W = Xᵀ ∂Y, of all steps at once.
    """
    found = []
    for product in products:
        m, k, n, times, batch = product
        weights = Product(k, round(m * times), n, batch=batch)
        found += [product, Product(m, n, k, times, batch), weights]
    return found


def moved(products: Iterable[Product]) -> float:
    """Numbers that products read and write: both matrices and the result, once for each time."""
    return sum(
        (each.m * each.k + each.k * each.n + each.m * each.n) * each.times * each.batch
        for each in products
    )
