"""What a cluster needs for Milepost, and whether it has it."""
