"""The Lava target: real lava-nc, in this process on Python 3.10 or in a worker beside it."""
