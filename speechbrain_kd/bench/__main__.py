"""``python -m speechbrain_kd.bench``."""

from speechbrain_kd.bench.command import main

if __name__ == "__main__":
    main()
