"""The frame around every page: title, width, navigation."""

import streamlit as st

st.set_page_config(page_title="Independent mechanisms", page_icon=":material/network_node:", layout="wide")

page = st.navigation(
    [
        st.Page("home.py", title="Home", icon=":material/home:", default=True),
        st.Page("train.py", title="Train", icon=":material/play_circle:"),
        st.Page("monitor.py", title="Monitor", icon=":material/monitoring:"),
    ],
    position="top",
)
page.run()
