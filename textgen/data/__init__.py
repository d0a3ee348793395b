"""The data layer: tokenizers, texts, token streams and batches."""
