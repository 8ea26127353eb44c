"""One file a step, never changed once it has landed."""
