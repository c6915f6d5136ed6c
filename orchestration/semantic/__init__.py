"""The semantic cache: which answers may be given again, and to which questions."""
