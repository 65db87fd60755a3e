"""WHEN and WHERE: schedules as logs of commands over loop trees, their text form, and how they print."""
