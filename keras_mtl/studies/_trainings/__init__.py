"""The trainings of a study: what is to be trained, in which processes, and what is written down.

_job        one training that is to be done
_record     what is known of a training that ended, as JSON
_train      trains one network: its curve, its best epoch, its predictions
_run        does the jobs that are not done yet, in this process or in several, and shows progress
_workers    processes that train
_folder     the folder of a study: what it belongs to, and who uses it
"""
