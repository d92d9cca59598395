"""A project that lies elsewhere than the code: its dvc.yaml, and which code its stages run."""
