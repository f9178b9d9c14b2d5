"""How questions about detected things are put: {one} and {other} are labels, {a} has an article, {many} and {others}
are more than one, {part} is a half of the picture. The last wording of each is for evaluations alone."""

COUNT = (
    "How many {many} are there?",
    "Count the {many}.",
    "How many {many} were found?",
    "What is the number of {many}?",
    "How many {many} can be seen?",
)
PART = (
    "How many {many} are {part}?",
    "Count the {many} that are {part}.",
    "How many {many} stand {part}?",
    "What is the number of {many} {part}?",
    "How many of the {many} are {part}?",
)
PARTS = {
    "in the left half": (0, True),
    "in the right half": (0, False),
    "in the upper half": (1, True),
    "in the lower half": (1, False),
}
THERE = (
    "Is there {a}?",
    "Is {a} to be seen?",
    "Was {a} found?",
    "Is {a} there?",
    "Can you see {a}?",
    "Does the picture show {a}?",
)
WHERE = (
    "Where is the {one}?",
    "In which part of the picture is the {one}?",
    "Where on the screen is the {one}?",
    "Which part of the picture holds the {one}?",
    "Where does the {one} stand?",
    "Where should one look for the {one}?",
    "Where can the {one} be found?",
)
THIRD = (
    "Is the {one} at the top, in the middle or at the bottom?",
    "Does the {one} stand at the top, in the middle or at the bottom?",
    "How high is the {one}: top, middle or bottom?",
    "Top, middle or bottom: where is the {one}?",
    "The {one}: top, middle or bottom?",
)
HALF = (
    "Is the {one} on the left or on the right?",
    "On which side is the {one}?",
    "Left or right: where is the {one}?",
    "In which half is the {one}, the left or the right one?",
    "The {one}: left or right?",
)
BOX = (
    "What are the coordinates of the {one}?",
    "What is the box of the {one}?",
    "Give the box of the {one}.",
    "Where exactly is the {one}, in pixels?",
    "At which pixels is the {one}?",
    "From where to where does the {one} reach, in pixels?",
    "What is the bounding box of the {one}?",
    "Which corners does the {one} have?",
    "Which pixels does the {one} cover?",
)
BESIDE = {
    "right": (
        "What is right of the {one}?",
        "What comes to the right of the {one}?",
        "What is next to the {one}, on its right?",
        "Which one is to the right of the {one}?",
        "What stands right of the {one}?",
    ),
    "left": (
        "What is left of the {one}?",
        "What comes to the left of the {one}?",
        "What is next to the {one}, on its left?",
        "Which one is to the left of the {one}?",
        "What stands left of the {one}?",
    ),
    "below": (
        "What is below the {one}?",
        "What comes under the {one}?",
        "What is the next thing down from the {one}?",
        "Which one is under the {one}?",
        "What stands below the {one}?",
    ),
    "above": (
        "What is above the {one}?",
        "What comes over the {one}?",
        "What is the next thing up from the {one}?",
        "Which one is over the {one}?",
        "What stands above the {one}?",
    ),
}
EDGE = {
    "topmost": (
        "What is at the very top?",
        "Which one is the topmost?",
        "What is the first thing from the top?",
        "What stands highest?",
    ),
    "lowest": (
        "What is at the very bottom?",
        "Which one is the lowest?",
        "What is the first thing from the bottom?",
        "What stands lowest?",
    ),
    "leftmost": (
        "What is farthest to the left?",
        "Which one is the leftmost?",
        "What is the first thing from the left?",
        "What stands leftmost?",
    ),
    "rightmost": (
        "What is farthest to the right?",
        "Which one is the rightmost?",
        "What is the first thing from the right?",
        "What stands rightmost?",
    ),
}
SIZE = (
    "What is the largest of all?",
    "Which one is the largest?",
    "What is the biggest?",
    "What takes up most space?",
)
HIGHER = (
    "Which is higher up, the {one} or the {other}?",
    "Which comes first from the top, the {one} or the {other}?",
    "Is the {one} or the {other} nearer to the top?",
    "The {one} or the {other}: which is above the other?",
    "Of the {one} and the {other}, which stands higher?",
)
LEFTER = (
    "Which is farther left, the {one} or the {other}?",
    "Which comes first from the left, the {one} or the {other}?",
    "Is the {one} or the {other} nearer to the left edge?",
    "The {one} or the {other}: which is left of the other?",
    "Of the {one} and the {other}, which stands farther left?",
)
MORE = (
    "Are there more {many} or more {others}?",
    "Which are more, {many} or {others}?",
    "Of which are there more, {many} or {others}?",
    "What is more frequent, {many} or {others}?",
)
LIST = (
    "What was found?",
    "List what was found, each kind once.",
    "Which kinds of things are there?",
    "Name every kind of thing that there is.",
    "What kinds of things does the picture show?",
)
SHOWS = ("What does the {one} show?", "What is drawn in the {one}?", "What does the {one} stand for?")
