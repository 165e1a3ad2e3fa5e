"""What is in a file of jets, and whether it is fit to train on."""
