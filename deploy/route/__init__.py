"""How requests reach a model: one description (`plan.Route`), one renderer for each kind of router."""
