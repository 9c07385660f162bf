"""``python -m speechbrain_kd.study``."""

from speechbrain_kd.study.command import main

if __name__ == "__main__":
    main()
