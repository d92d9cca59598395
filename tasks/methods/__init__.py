"""How the weights are trained: one class a kind of params.yaml."""
