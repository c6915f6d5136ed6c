"""What is done between two of a mode's steps: texts are read, judged and made to fit. Pure."""
