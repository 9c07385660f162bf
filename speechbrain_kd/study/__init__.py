"""The study: terms, students and seeds in one table, from a plan in yaml.

`plan` reads the plan, `options` makes command lines of it, `job` trains and
measures one cell, `runner` many at once, `tables` and `picture` say what came
out. ``python -m speechbrain_kd.study PLAN`` is `command`.
"""
