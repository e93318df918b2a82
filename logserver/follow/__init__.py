"""Lines as they arrive: the hub that all of them pass, and those who follow."""
