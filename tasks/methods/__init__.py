"""How the weights are trained: one class per kind of params.yaml."""
