"""How `advise` comes to its answer.

_pilot      one training of all tasks together: how long it takes, and what its gradients say
_groups     groups of related tasks, and whether they are groups at all
_short_list the rules by which contenders are chosen, each with what it saw
_fit_budget how many trials and seeds fit into the minutes
_answer     share all, share these groups, or do not share
"""
