"""The frame around every page: title, width, navigation."""

from pathlib import Path

import streamlit as st

from pages.ui.turning import turning

# The icon is a permutation matrix: one expert for each mechanism. It is a file, because Streamlit's own icons come from the net.
st.set_page_config(
    page_icon=str(Path(__file__).parent / "ui" / "icon.png"),
    layout="wide",
)
# Streamlit's captions have a contrast of 3.9:1, like this 6:1 and more; white words on its primary colour have 3.4:1 where the page
# is dark, on this one 5.2:1.
st.html(
    "<style>.stMainBlockContainer{padding-top:4.5rem;padding-bottom:3rem}"
    "[data-testid=stCaptionContainer] *{color:inherit}[data-testid=stCaptionContainer]{color:inherit;opacity:.78}"
    "[data-testid=stBaseButton-primary]:not(:disabled){background:#1f6fb8;border-color:#1f6fb8}"
    ".stMainBlockContainer h2{font-size:1.75rem;font-weight:600;padding:.75rem 0}"
    "a:focus-visible{outline:2px solid #3f90da!important;outline-offset:2px}</style>"
)

page = st.navigation(
    [
        st.Page("home.py", title="Home", icon=":material/home:", default=True),
        st.Page("learn.py", title="Learn", icon=":material/school:"),
        st.Page("train.py", title="Train", icon=":material/play_circle:"),
        st.Page("monitor.py", title="Monitor", icon=":material/monitoring:"),
        st.Page("round.py", title="Round", icon=":material/slow_motion_video:"),
        st.Page("draw.py", title="Draw", icon=":material/draw:"),
        st.Page("guess.py", title="Guess who", icon=":material/casino:"),
        st.Page("compare.py", title="Compare", icon=":material/compare:"),
        st.Page("versus.py", title="Side by side", icon=":material/compare_arrows:"),
        st.Page("results.py", title="Results", icon=":material/insights:"),
    ],
    position="top",
)
st.set_page_config(page_title=f"{page.title} · Independent mechanisms")
turning()
page.run()
