"""What every package of evalsuite rests on: errors, files, hashes, texts, YAML."""
