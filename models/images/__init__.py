"""Image classification in torch: what its targets share."""
