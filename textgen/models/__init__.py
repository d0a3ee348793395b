"""Recurrent cells, stacks, attention, and the models built from them."""
