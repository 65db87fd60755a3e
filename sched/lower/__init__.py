"""HOW: isl's loops become loop IR, passes rewrite it, and `llvm` emits it."""
