"""Where tables of analyses and checkpoints are kept: a folder, a bucket or memory."""
