"""What the commands share: options, output, progress, tables of text."""
