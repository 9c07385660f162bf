"""Every figure about speed, from one command, as JSON and tables.

python -m speechbrain_kd.bench --output results/bench [--sections NAMES]
"""
