"""The steps of a run in words, for card and page; the runner names them, `job.json` lists them."""

STEPS = {
    "check_environment": "Check the machine",
    "fetch_inputs": "Fetch the images",
    "execute": "Work",
    "verify": "Check the results",
    "release": "Tidy up",
    "upload": "Hand in the results",
    "complete": "Done",
}


def step_words(name: str) -> str:
    """What a step does; of one that this version does not know, its name."""
    return STEPS.get(name, name.replace("_", " "))
