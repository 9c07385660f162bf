"""A teacher looked at before it teaches: ``speechbrain-kd teacher``.

`teachers.card` says what it is and `teachers.examine` whether it holds; here
it meets a training set and trial lists.
"""
