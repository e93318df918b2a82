package milepost.test;

import java.io.Serializable;

public class Score implements Serializable {
    private String user;
    private double risk;
    private long rows;

    public String getUser() { return user; }
    public void setUser(String user) { this.user = user; }
    public double getRisk() { return risk; }
    public void setRisk(double risk) { this.risk = risk; }
    public long getRows() { return rows; }
    public void setRows(long rows) { this.rows = rows; }
}
