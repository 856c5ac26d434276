"""The report of a reproduction: published figures, tables, charts and one self-contained page. Never PyTorch."""
