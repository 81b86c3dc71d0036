"""What the daemon remembers between two runs, in one file of its state directory."""
