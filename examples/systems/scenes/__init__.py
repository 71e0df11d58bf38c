"""What is where, how far, and how turned: three answers for every pixel of a scene."""
