"""The passes over loop IR, one a file, each a function from `Stmt` to `Stmt`; `pipeline.py` has their order."""
