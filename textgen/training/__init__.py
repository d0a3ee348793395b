"""Training: the loop, optimisers, schedules, and what each kind of model adds to them."""
