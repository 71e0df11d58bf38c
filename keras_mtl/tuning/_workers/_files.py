"""The names of the files by which a search and its worker processes talk."""

WORK = "work.pickle"
ERROR = "error-{}.pickle"
LOG = "worker-{}.log"
