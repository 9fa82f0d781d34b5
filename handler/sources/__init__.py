"""Where a pipeline's records come from: one file a source."""
