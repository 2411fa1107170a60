"""How users look at a page of answers: one model a file, each with its assumptions."""
