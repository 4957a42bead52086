"""Exercises: the kernels of an op with their bodies removed, and a check of what a student writes in their place."""

from minidl.backend import use_kernels
from minidl.exercises.checking import check_exercise
from minidl.exercises.lessons import LESSONS, Lesson
from minidl.exercises.skeleton import skeleton, write_skeleton
from minidl.exercises.student_file import load_kernels

__all__ = ["LESSONS", "Lesson", "check_exercise", "load_kernels", "skeleton", "use_kernels", "write_skeleton"]
