"""The hub's groups that say who is in which course: nbgrader's own convention."""

STUDENTS = "nbgrader"
STAFF = "formgrade"


def student_group(course: str) -> str:
    """The group of the course's students."""
    return f"{STUDENTS}-{course}"


def staff_group(course: str) -> str:
    """The group of the course's staff."""
    return f"{STAFF}-{course}"
