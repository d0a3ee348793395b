"""Judging what models say: translation metrics, alignments and their pictures, text statistics."""
