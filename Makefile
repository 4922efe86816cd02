# make app    the laboratory, on http://localhost:8501
# make test   the whole test suite, in two processes; make test OPTIONS="--bfloat16 on" with bfloat16 where the CPU would not choose it
# make lint   ruff and pyright
# Each makes the virtual environment and installs what it needs first.

.PHONY: app test lint

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check

app: .venv/.app
	$(BIN)/streamlit run app.py

test: .venv/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(OPTIONS)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

.venv/bin/python:
	python3 -m venv .venv

.venv/.app: requirements.txt | .venv/bin/python
	$(PIP) -r requirements.txt
	touch $@

.venv/.dev: requirements-dev.txt requirements.txt | .venv/bin/python
	$(PIP) -r requirements-dev.txt
	touch $@ .venv/.app
