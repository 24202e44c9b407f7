"""Who called, by the frames of the interpreter."""

from dropblock_core.callers import innermost

HERE = f"{__name__}."


def near(*names: str) -> str:
    return innermost(*names)


def far(*names: str) -> str:
    return near(*names)


def test_the_innermost_caller_of_those_named_is_found() -> None:
    assert far(f"{HERE}far", f"{HERE}near") == f"{HERE}near"
    assert far("other.module.", f"{HERE}far") == f"{HERE}far"
    assert far(f"{HERE}test_") == f"{HERE}test_the_innermost_caller_of_those_named_is_found"


def test_who_has_returned_or_is_not_named_is_no_caller() -> None:
    assert near("other.module.") == ""
    assert near(f"{HERE}far") == ""
